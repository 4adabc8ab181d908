"""The language and the time zone in which a page or a mail is read: catalogues, dates and numbers."""
