"""Takes what devices say, answers `stored` only when it is, and hands down models. gRPC lives here and nowhere else.

A batch's way: `wire` makes plain blocks of it, `rules` judges each record, `intake` knows what is new, `writer` closes
a segment, puts it into the object store and commits it together with the devices' cursors; then `session` says
`stored`.
"""
