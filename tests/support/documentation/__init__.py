"""The code blocks of the documentation, and a sandbox under the name of the public server to run them against."""
