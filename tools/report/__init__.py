"""Pages for a reviewer: a report on the results, a report on a sweep."""
