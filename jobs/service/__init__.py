"""`culling run`: watches all cameras, runs their nights when they are due, sends notices."""
