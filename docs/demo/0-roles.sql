-- The controller owns the data; the two sub-processors are ordinary roles.
CREATE ROLE controller LOGIN;
CREATE ROLE harbour_stats LOGIN;
CREATE ROLE insurer LOGIN;
CREATE DATABASE app OWNER controller;
