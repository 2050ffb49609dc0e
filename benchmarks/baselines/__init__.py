"""What people would use instead, or the least that could do the same: a file each, and as short as it can be."""
