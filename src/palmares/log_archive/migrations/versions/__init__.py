"""One file a migration, numbered. What was released is never changed again."""
