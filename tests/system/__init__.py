"""The program as a process, from outside: these tests import nothing of the code under test."""
