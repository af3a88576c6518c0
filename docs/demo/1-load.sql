INSERT INTO passengers
SELECT id, name, sex, (date '1912-04-15' - age * interval '1 year')::date, class, fare, deck, embarked, survived = 1, id % 3 <> 0
  FROM arrivals;
ANALYZE passengers;
