use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use super::*;

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that does the same with each connection.
async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind(ANYWHERE).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// One that says its name and then echoes.
async fn echo(name: u8) -> SocketAddr {
    server(move |mut stream| async move {
        stream.write_u8(name).await?;
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await.map(|_| ())
    })
    .await
}

async fn blue_and_green() -> Switch {
    let switch = Switch::start(ANYWHERE, Color::Blue).await.unwrap();
    switch.point(Color::Blue, echo(b'b').await);
    switch.point(Color::Green, echo(b'g').await);
    switch
}

async fn connect(switch: &Switch) -> TcpStream {
    TcpStream::connect(switch.address).await.unwrap()
}

/// A whole exchange on a connection of its own: the name of who answered.
async fn ask(address: SocketAddr) -> io::Result<u8> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"is it so?").await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    match answer.split_first() {
        Some((name, b"is it so?")) => Ok(*name),
        _ => Err(io::Error::other(format!("{answer:?}"))),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_hundred_switches_no_short_exchange_fails_and_each_new_one_goes_to_the_active_side() {
    let switch = blue_and_green().await;
    let (address, over) = (switch.address, Arc::new(AtomicBool::new(false)));
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let mut answers = [0_u64; 2];
                while !over.load(Relaxed) {
                    match ask(address).await.unwrap() {
                        b'b' => answers[0] += 1,
                        b'g' => answers[1] += 1,
                        other => panic!("{other}"),
                    }
                }
                answers
            })
        })
        .collect();
    for turn in 0..100 {
        let to = switch.active().other();
        switch.switch_to(to);
        assert_eq!(ask(address).await.unwrap(), if turn % 2 == 0 { b'g' } else { b'b' });
        sleep(Duration::from_millis(2)).await;
    }
    over.store(true, Relaxed);
    let mut answers = [50, 50];
    for each in asking {
        let found = each.await.unwrap();
        answers = [answers[0] + found[0], answers[1] + found[1]];
    }
    assert!(answers.iter().all(|count| *count > 100), "{answers:?}");
    for (color, count) in Color::ALL.into_iter().zip(answers) {
        assert!(switch.drained(color, PATIENCE).await);
        assert_eq!(switch.counts(color), Counts { opened: count, ..Counts::default() });
    }
}

#[tokio::test]
async fn an_open_connection_stays_where_it_is() {
    let switch = blue_and_green().await;
    let mut old = connect(&switch).await;
    assert_eq!(old.read_u8().await.unwrap(), b'b');
    switch.switch_to(Color::Green);
    let mut new = connect(&switch).await;
    assert_eq!(new.read_u8().await.unwrap(), b'g');
    for stream in [&mut old, &mut new] {
        stream.write_u8(7).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 7);
    }
    assert_eq!((switch.open(Color::Blue), switch.open(Color::Green)), (1, 1));
    assert!(!switch.drained(Color::Blue, Duration::from_millis(50)).await);
    drop(old);
    assert!(switch.drained(Color::Blue, PATIENCE).await);
    assert_eq!(switch.open(Color::Green), 1);
}

#[tokio::test]
async fn who_has_said_all_is_still_answered() {
    let switch = Switch::start(ANYWHERE, Color::Green).await.unwrap();
    let counting = server(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await?;
        // The other direction stays open for as long as it likes.
        sleep(Duration::from_millis(100)).await;
        stream.write_u64(all.len() as u64).await
    });
    switch.point(Color::Green, counting.await);
    let mut stream = connect(&switch).await;
    stream.write_all(&vec![1; 3 << 20]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read_u64().await.unwrap(), 3 << 20);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    drop(stream);
    assert!(switch.drained(Color::Green, PATIENCE).await);
    assert_eq!(switch.counts(Color::Green).broken, 0);
}

#[tokio::test]
async fn the_last_words_of_a_server_arrive_though_its_client_goes_on_talking() {
    let switch = Switch::start(ANYWHERE, Color::Blue).await.unwrap();
    let words = |mut stream: TcpStream| async move {
        stream.read_u8().await?;
        stream.write_all(&vec![5; 64 << 10]).await
    };
    switch.point(Color::Blue, server(words).await);
    let mut stream = connect(&switch).await;
    stream.write_u8(1).await.unwrap();
    for _ in 0..5 {
        sleep(Duration::from_millis(20)).await;
        // The first of these is answered by a reset, behind the switch.
        let _ = stream.write_u8(1).await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer.len(), 64 << 10);
    drop(stream);
    assert!(switch.drained(Color::Blue, PATIENCE).await);
}

#[tokio::test]
async fn of_a_side_that_is_down_the_client_knows_at_once() {
    let switch = blue_and_green().await;
    // Nobody listens there any more.
    let free = TcpListener::bind(ANYWHERE).await.unwrap().local_addr().unwrap();
    switch.point(Color::Green, free);
    switch.switch_to(Color::Green);
    let begun = Instant::now();
    assert!(ask(switch.address).await.is_err());
    assert!(begun.elapsed() < CONNECT, "{:?}", begun.elapsed());
    switch.switch_to(Color::Blue);
    assert_eq!(ask(switch.address).await.unwrap(), b'b');
    assert_eq!(switch.counts(Color::Green), Counts { refused: 1, ..Counts::default() });
    // The same where nobody has said yet where it is.
    let nowhere = Switch::start(ANYWHERE, Color::Green).await.unwrap();
    assert!(ask(nowhere.address).await.is_err());
    assert_eq!(nowhere.counts(Color::Green).refused, 1);
}

#[tokio::test]
async fn what_is_not_taken_is_not_read() {
    let written = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&written);
    let endless = server(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let bytes = vec![0; 64 << 10];
            while let Ok(taken) = stream.write(&bytes).await {
                count.fetch_add(taken as u64, Relaxed);
            }
            Ok(())
        }
    });
    let switch = Switch::start(ANYWHERE, Color::Blue).await.unwrap();
    switch.point(Color::Blue, endless.await);
    let stream = connect(&switch).await;
    let mut before = 0;
    // The system itself holds some megabytes for each of the two connections.
    let stopped = async {
        loop {
            sleep(Duration::from_millis(200)).await;
            let now = written.load(Relaxed);
            if now > 0 && now == before {
                break now;
            }
            before = now;
        }
    };
    let held = timeout(PATIENCE, stopped).await.unwrap();
    assert!(held < 64 << 20, "{held}");
    drop(stream);
    assert!(switch.drained(Color::Blue, PATIENCE).await);
}

#[tokio::test]
async fn what_is_left_on_that_side_is_closed_and_both_ends_are_told() {
    let switch = blue_and_green().await;
    let mut blue = connect(&switch).await;
    blue.read_u8().await.unwrap();
    switch.switch_to(Color::Green);
    let mut green = connect(&switch).await;
    green.read_u8().await.unwrap();
    assert_eq!(switch.close_rest(Color::Blue), 1);
    assert_eq!(switch.close_rest(Color::Blue), 0, "it is being closed");
    assert_eq!(blue.read(&mut [0]).await.unwrap(), 0, "an end, not a reset");
    drop(blue);
    green.write_u8(9).await.unwrap();
    assert_eq!(green.read_u8().await.unwrap(), 9);
    assert_eq!(switch.counts(Color::Blue), Counts { opened: 1, closed: 1, ..Counts::default() });
    assert!(switch.drained(Color::Blue, PATIENCE).await);
}

#[tokio::test]
async fn a_switch_that_closes_takes_nobody_and_waits_for_those_who_are_there() {
    let switch = blue_and_green().await;
    let mut stream = connect(&switch).await;
    stream.read_u8().await.unwrap();
    let client = async {
        sleep(Duration::from_millis(100)).await;
        stream.write_u8(3).await.unwrap();
        let answer = stream.read_u8().await.unwrap();
        drop(stream);
        answer
    };
    let (ended, answer) = tokio::join!(switch.close(PATIENCE), client);
    assert!(ended);
    assert_eq!(answer, 3);
    assert!(ask(switch.address).await.is_err());

    let other = blue_and_green().await;
    let mut stays = connect(&other).await;
    stays.read_u8().await.unwrap();
    assert!(!other.close(Duration::from_millis(50)).await);
    assert!(!matches!(timeout(PATIENCE, stays.read(&mut [0])).await.unwrap(), Ok(1..)), "it is cut");
}
