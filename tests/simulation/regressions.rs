//! Schedules that failed once.
