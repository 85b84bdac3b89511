//! Feeds the responses of a file to matrix-sdk-base over matrix-sdk-sqlite and prints as JSON what that took.
//!
//!     native-peer BODIES FOLDER
//!
//! FOLDER must exist: the state store makes its database there.

use std::{
    env,
    error::Error,
    fs,
    time::{Duration, Instant},
};

use matrix_sdk_base::{
    BaseClient, DmRoomDefinition, SessionMeta, ThreadingSupport,
    cross_process_lock::CrossProcessLockConfig,
    store::{RoomLoadSettings, StoreConfig},
};
use matrix_sdk_sqlite::SqliteStateStore;
use ruma::{
    api::{IncomingResponse, client::sync::sync_events::v3},
    user_id,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().collect();
    let [_, bodies, folder] = arguments.as_slice() else {
        return Err("usage: native-peer BODIES FOLDER".into());
    };
    let file = fs::read(bodies)?;
    let bodies = split(&file);
    let client = open(folder).await?;

    let start = Moment::now();
    apply(&client, bodies[0]).await?;
    let first = Moment::now();
    for body in &bodies[1..] {
        apply(&client, body).await?;
    }
    let end = Moment::now();

    println!(
        r#"{{"first sync": {}, "small batches": {}, "both": {}}}"#,
        first.since(&start),
        end.since(&first),
        end.since(&start)
    );
    Ok(())
}

/// What the client does with the body of a response: decode it, process it, commit.
async fn apply(client: &BaseClient, body: &[u8]) -> Outcome<()> {
    let response = v3::Response::try_from_http_response(http::Response::new(body))?;
    client.receive_sync_response(response).await?;
    Ok(())
}

/// A client with a session that has never synced, its state store in a file, everything else as it is by default.
async fn open(folder: &str) -> Outcome<BaseClient> {
    let store = SqliteStateStore::open(folder, None).await?;
    let config = StoreConfig::new(CrossProcessLockConfig::SingleProcess).state_store(store);
    let client = BaseClient::new(config, ThreadingSupport::Disabled, DmRoomDefinition::default());
    let session = SessionMeta { user_id: user_id!("@me:example.org").to_owned(), device_id: "BENCH".into() };
    client.activate(session, RoomLoadSettings::default()).await?;
    Ok(client)
}

/// The bodies of a file: before each stands its length, eight bytes, the highest first.
fn split(mut file: &[u8]) -> Vec<&[u8]> {
    let mut bodies = Vec::new();
    while let Some((length, rest)) = file.split_first_chunk::<8>() {
        let (body, rest) = rest.split_at(u64::from_be_bytes(*length) as usize);
        bodies.push(body);
        file = rest;
    }
    bodies
}

struct Moment {
    cpu: Duration, // of all threads of this process
    wall: Instant,
}

impl Moment {
    fn now() -> Self {
        // SAFETY: getrusage fills the struct it is given, all of it.
        let usage = unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
            usage
        };
        Self { cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime), wall: Instant::now() }
    }

    /// CPU and wall seconds, as a list in JSON.
    fn since(&self, start: &Self) -> String {
        format!("[{}, {}]", (self.cpu - start.cpu).as_secs_f64(), (self.wall - start.wall).as_secs_f64())
    }
}

fn seconds(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}
