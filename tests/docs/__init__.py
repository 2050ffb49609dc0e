"""What is written for readers can be done as it stands: code, commands, the tutorial, the files for production."""
