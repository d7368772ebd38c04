"""Which part is at fault: a network on labelled recordings, judged on bearings that took no part."""
