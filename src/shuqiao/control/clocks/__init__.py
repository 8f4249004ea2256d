"""The legal clocks of all kinds of cases, and the calendar they are counted by."""
