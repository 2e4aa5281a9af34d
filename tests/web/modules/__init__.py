"""The page's modules, each as shipped, in one real Chromium and against a server that a test scripts."""
