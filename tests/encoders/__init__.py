"""Random addresses through other people's encoders: the audit must find each (see README.md here)."""
