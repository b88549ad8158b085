//! Random programs of streams, events and waits against a model that knows nothing of queues or
//! clocks.
//!
//! The model keeps, for each stream, the set of earlier operations that its next one must follow,
//! straight from the rules of the programming guide. Whatever the schedule: an operation runs after
//! all of its set; a wait of the host leaves nothing of the stream's set open; and the cross-stream
//! check speaks up exactly if two operations touch the same cell, one writing, and neither is in
//! the other's set.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use crate::config::Config;
use crate::driver::Driver;
use crate::event::Event;
use crate::gate::Gate;
use crate::handle::Id;
use crate::memory::Kind;
use crate::ops::Work;
use crate::stream::{NON_BLOCKING, Stream};

struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % count as u64) as usize
    }
}

/// What must come before: numbers of operations.
type Set = BTreeSet<usize>;

struct Model {
    /// For each stream what its next operation follows; stream 0 is the legacy default stream, 1
    /// and 2 block.
    before: Vec<Set>,
    events: Vec<Option<Set>>,
    /// What the host has waited for.
    host: Set,
    /// For each operation what it follows.
    after: Vec<Set>,
    touches: Vec<(usize, bool)>,
}

const BLOCKING: std::ops::Range<usize> = 1..3;
const STREAMS: usize = 5;
const EVENTS: usize = 3;
const CELLS: usize = 4;

impl Model {
    fn new() -> Self {
        Model {
            before: vec![Set::new(); STREAMS],
            events: vec![None; EVENTS],
            host: Set::new(),
            after: Vec::new(),
            touches: Vec::new(),
        }
    }

    /// What anything submitted to the stream now follows.
    fn front(&self, stream: usize) -> Set {
        let mut set = &self.before[stream] | &self.host;
        if stream == 0 {
            BLOCKING.for_each(|other| set.extend(&self.before[other]));
        } else if BLOCKING.contains(&stream) {
            set.extend(&self.before[0]);
        }
        set
    }

    fn touch(&mut self, stream: usize, cell: usize, write: bool) -> usize {
        let mut set = self.front(stream);
        let number = self.after.len();
        self.after.push(set.clone());
        self.touches.push((cell, write));
        set.insert(number);
        self.before[stream] = set;
        number
    }

    fn has_hazard(&self) -> bool {
        let clash = |a: usize, b: usize| {
            let ((cell_a, write_a), (cell_b, write_b)) = (self.touches[a], self.touches[b]);
            cell_a == cell_b && (write_a || write_b) && !self.after[b].contains(&a)
        };
        (0..self.after.len()).any(|b| (0..b).any(|a| clash(a, b)))
    }
}

struct Machine {
    gate: Gate,
    streams: Vec<Id<Stream>>,
    events: Vec<Id<Event>>,
    cells: Vec<u64>,
    scratch: u64,
    ran: Arc<Mutex<Vec<usize>>>,
}

impl Machine {
    fn new(config: Config) -> Self {
        let mut driver = Driver::new(config);
        let context = driver.retain_primary(0).expect("device 0 is there");
        let legacy = driver.context(context).expect("just made").legacy;
        let mut streams = vec![legacy];
        for stream in 1..STREAMS {
            let flags = if BLOCKING.contains(&stream) { 0 } else { NON_BLOCKING };
            streams.push(driver.create_stream(context, flags, 0).expect("sound flags"));
        }
        let events =
            (0..EVENTS).map(|_| driver.create_event(context, 2).expect("sound flags")).collect();
        let mut place =
            |bytes| driver.allocate(context, bytes, Kind::Device).expect("there is room");
        let cells = (0..CELLS).map(|_| place(64)).collect();
        // Each read goes to a place of its own.
        let scratch = place(64 * 1000);
        Machine { gate: Gate::new(driver), streams, events, cells, scratch, ran: Arc::default() }
    }

    fn touch(&self, number: usize, stream: usize, cell: usize, write: bool) {
        let mut driver = self.gate.lock();
        let (to, at) = (self.cells[cell], self.streams[stream]);
        let work = if write {
            Work::Fill { to, pattern: vec![1], count: 64 }
        } else {
            Work::Copy { to: self.scratch + 64 * number as u64, from: to, bytes: 64 }
        };
        // The touch and the note that it ran are two operations of the stream, the note second.
        driver.submit(at, work, format!("operation {number}"), Vec::new()).expect("no capture");
        let ran = Arc::clone(&self.ran);
        let note =
            Work::Host(Arc::new(move || ran.lock().expect("no panic holds it").push(number)));
        driver.submit(at, note, "note", Vec::new()).expect("no capture");
        drop(driver);
        self.gate.after_submission();
    }

    fn synchronize(&self, stream: usize) {
        let driver = self.gate.lock();
        let streams = driver.awaited(self.streams[stream]);
        let targets: Vec<_> =
            streams.iter().map(|&s| driver.streams.get(s).expect("alive").last).collect();
        let mut driver = self.gate.wait(driver, &targets);
        streams.into_iter().for_each(|stream| driver.host_saw_stream(stream));
    }
}

/// Runs a random program on model and machine; whether the check found something.
fn run(seed: u64, config: Config) -> bool {
    let (mut random, mut model, machine) = (Random(seed), Model::new(), Machine::new(config));
    let place = format!("program {seed}");
    for _ in 0..40 {
        let (stream, event) = (random.below(STREAMS), random.below(EVENTS));
        match random.below(10) {
            0..4 => {
                let (cell, write) = (random.below(CELLS), random.below(3) == 0);
                let number = model.touch(stream, cell, write);
                machine.touch(number, stream, cell, write);
            }
            4 | 5 => {
                let front = model.front(stream);
                model.before[stream].clone_from(&front);
                model.events[event] = Some(front);
                let (at, event) = (machine.streams[stream], machine.events[event]);
                machine.gate.lock().record_event(event, at).expect("one context");
            }
            6..9 => {
                if let Some(set) = &model.events[event] {
                    model.before[stream] = &model.front(stream) | set;
                }
                let (at, event) = (machine.streams[stream], machine.events[event]);
                machine.gate.lock().wait_event(at, event).expect("no capture");
            }
            _ => {
                let awaited: Vec<usize> =
                    if stream == 0 { (0..1).chain(BLOCKING).collect() } else { vec![stream] };
                for stream in awaited {
                    let set = model.before[stream].clone();
                    model.host.extend(set);
                }
                machine.synchronize(stream);
                let ran: Set =
                    machine.ran.lock().expect("no panic holds it").iter().copied().collect();
                assert!(ran.is_superset(&model.host), "{place}: the wait left something open");
            }
        }
    }
    for stream in 0..STREAMS {
        machine.synchronize(stream);
    }
    let ran = machine.ran.lock().expect("no panic holds it").clone();
    assert_eq!(ran.len(), model.after.len(), "{place}: each operation ran once");
    for (position, number) in ran.iter().enumerate() {
        let earlier: Set = ran[..position].iter().copied().collect();
        assert!(
            earlier.is_superset(&model.after[*number]),
            "{place}: operation {number} ran too early"
        );
    }
    let found = machine.gate.lock().report.findings_json().contains("stream-hazard");
    assert_eq!(found, model.has_hazard(), "{place}: the check against the model");
    found
}

#[test]
fn every_schedule_keeps_the_order_of_streams_and_events() {
    let (mut clean, mut hazardous) = (0, 0);
    for seed in 0..400 {
        let lazy = Config { seed: None, ..Config::default() };
        for config in [
            lazy.clone(),
            Config { seed: Some(seed), ..lazy.clone() },
            Config { eager: true, ..lazy },
        ] {
            match run(seed, config) {
                true => hazardous += 1,
                false => clean += 1,
            }
        }
    }
    assert!(
        clean > 50 && hazardous > 50,
        "both kinds of programs were drawn: {clean} and {hazardous}"
    );
}
