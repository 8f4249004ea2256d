"""Files of cases: minutes, rulings, applications; bounded, checked by content, kept with their digest."""
