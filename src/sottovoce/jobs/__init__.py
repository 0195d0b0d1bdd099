"""What is to be done: jobs that outlive every process, and what happens to them."""
