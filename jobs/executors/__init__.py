"""Where a night is computed: processes of this machine, or a Ray cluster."""
