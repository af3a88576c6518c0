-- 891 named passengers of 1912. What the file gives as an age becomes a date of birth; a third did not consent.
CREATE TABLE passengers (
  id       integer PRIMARY KEY,
  name     text NOT NULL,
  sex       text,
  born     date,
  class    integer NOT NULL,
  fare     numeric NOT NULL,
  deck     text,
  embarked text,
  survived boolean NOT NULL,
  consent  boolean NOT NULL
);
CREATE TEMP TABLE arrivals (
  id integer, name text, sex text, age numeric, class integer, fare numeric, deck text, embarked text, siblings_spouses integer,
  parents_children integer, survived integer
);
