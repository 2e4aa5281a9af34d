"""What operators look at and mend, from a shell beside the service."""
