"""Wrong, odd and hostile inputs by the thousand, each made again by its seed."""
