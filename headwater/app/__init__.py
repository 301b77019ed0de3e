"""The composition root: the only place that knows every part. One file for each way to run them."""
