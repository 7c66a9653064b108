-- Views of the list of incidents, beside those of outages and of search.
-- depends: 0032.long_outages
ALTER TABLE people.views DROP CONSTRAINT views_page_check;
ALTER TABLE people.views ADD CONSTRAINT views_page_check CHECK (page IN ('outages', 'incidents', 'search'));
