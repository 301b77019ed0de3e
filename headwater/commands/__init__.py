"""Commands of the program, one file a family. They talk to a running process through its API."""
