"""A synthetic square seen from above: hundreds of people, each point known."""
