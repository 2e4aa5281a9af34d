"""What both services need at their HTTP edge, and nothing else. Imports nothing of ours."""
