"""Who did what: written down before and after it is done, so that nobody can change it later unseen."""
