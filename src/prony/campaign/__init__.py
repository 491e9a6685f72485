"""The only loop that carries an asked plan to a trial and tells the result: run, find, explain, replay."""
