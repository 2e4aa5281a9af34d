"""The simulator keeps the contract it claims, so that tests against it prove something about Azure."""
