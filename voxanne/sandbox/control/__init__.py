"""The control API: how tests, fault runs and the demo set the scene and look at the result."""
