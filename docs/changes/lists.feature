Lists of installed plugins are no longer made anew when something else changes in the embedded database, and show what an operator has changed by hand.
