"""ACE-Step 1.5 in process, over diffusers' pipeline."""
