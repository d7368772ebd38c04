"""One file per format; each gives Recordings, or RecordingRejected with file, place and mend."""
