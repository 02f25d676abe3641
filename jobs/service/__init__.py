"""`culling run`: all cameras watched, their nights run when they are due, people told."""
