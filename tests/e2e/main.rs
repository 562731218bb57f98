//! A coordinator and its peers over real TLS sockets on loopback: what works, and what happens to bad input.
//!
//! One module a topic. `rounds` and `jobs` are how it goes; `certificates`, `content`, `uploads`, `tasks`, `versions`
//! and `network` are what a peer may do wrong; `compression` is all of that for encoded updates; `absence` and `restart` are what may happen to either side.
//! Those send bare messages. `participants`, `sites` and `lines` run the library's participant: at work, turned away,
//! and over lines that break; `processes` kills it as a process of its own, `resume` either side in the middle of an
//! upload, and `crash` anybody at random moments; `disk` is what disks may do, and
//! `journal` what a journal in PostgreSQL does. `privacy` is what noise and budgets do, and
//! `privacy_walk` looks at everything that anybody is told meanwhile. `preflight` and
//! `programs` are what a site runs by hand; in `statistics` sites count instead of training. In `python` one speaks the
//! protocol from another language.

mod absence;
mod attacks;
mod certificates;
mod compression;
mod content;
mod crash;
mod disk;
mod jobs;
mod journal;
mod lines;
mod network;
mod participants;
mod preflight;
mod privacy;
mod privacy_walk;
mod processes;
mod programs;
mod python;
mod restart;
mod resume;
mod rounds;
mod secure_aggregation;
mod secure_groups;
mod secure_results;
mod sites;
mod statistics;
mod tasks;
mod uploads;
mod versions;
