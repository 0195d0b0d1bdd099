"""What does the work of jobs: a host takes them and publishes, its runners (child processes) hold the models."""
