"""What devices measured: immutable Parquet segments in the object store, named by the catalogue, never by a listing."""
