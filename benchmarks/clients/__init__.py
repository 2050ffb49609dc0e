"""Load clients that cost next to nothing, so that they do not hide what the servers cost."""
