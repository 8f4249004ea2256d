"""The offline way of compiling: a workbook with drop-downs and help, exported, filled in, and taken in."""
