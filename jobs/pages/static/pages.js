// Comfort for the pages; everything can be read without it.
"use strict";
