use super::*;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

async fn start(script: &str, patience: Duration) -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("green.log");
    let started = Replica::start("green".to_owned(), shell(script), log, patience).await;
    (started.unwrap_err().to_string(), folder)
}

#[test]
fn the_ports_are_read_from_the_log() {
    let log = "{\"message\":\"starting\",\"grpc\":\"127.0.0.1:1\",\"http\":\"127.0.0.1:2\"}\nno JSON\n\
               {\"level\":\"INFO\",\"message\":\"listening\",\"grpc\":\"127.0.0.1:3\",\"http\":\"127.0.0.1:4\",\"target\":\"x\"}\n\
               {\"message\":\"listen";
    let ports = listening(log).unwrap();
    assert_eq!((ports.grpc.port(), ports.http.port()), (3, 4));
    assert_eq!(listening("{\"message\":\"listening\"}"), None);
}

#[test]
fn it_is_told_which_model_and_gets_no_secret_but_those_of_the_store() {
    let served = Served {
        binary: "/bin/prowl-inference".into(),
        store: "file:///srv/prowl".to_owned(),
        model: "20261124T214500Z".to_owned(),
    };
    let command = served.command();
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
    let line = arguments.join(" ");
    assert!(line.contains("--store file:///srv/prowl --model 20261124T214500Z --insecure"), "{line}");
    let kept_from_it: Vec<_> = command.get_envs().map(|(name, value)| (name.to_str().unwrap(), value)).collect();
    for of_others in ["API_TOKENS", "GITHUB_TOKEN", "MLFLOW_TOKEN", "MONGO_URI", "TLS_KEY", "WEBHOOK_SECRET"] {
        assert!(kept_from_it.contains(&(of_others, None)), "{of_others}");
    }
    let of_the_store = |name: &str| name.starts_with("SPACES_") || name.starts_with("VAULT_");
    assert!(!kept_from_it.iter().any(|(name, _)| of_the_store(name)), "{kept_from_it:?}");
}

#[tokio::test]
async fn one_that_ends_is_not_waited_for_and_its_last_words_are_told() {
    let begun = Instant::now();
    let (error, _folder) = start("echo first; echo no such store >&2; exit 7", Duration::from_mins(1)).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(error.contains("green ended") && error.contains("with 7") && error.contains("no such store"), "{error}");
    let (error, _folder) = start("kill -9 $$", Duration::from_mins(1)).await;
    assert!(error.contains("by a signal") && error.contains("said nothing"), "{error}");
}

#[tokio::test]
async fn one_that_never_gets_ready_is_given_up_and_killed() {
    let line = "{\\\"message\\\":\\\"listening\\\",\\\"grpc\\\":\\\"127.0.0.1:9\\\",\\\"http\\\":\\\"127.0.0.1:9\\\"}";
    let script = format!("echo $$ > $0.id; echo \"{line}\"; exec sleep 100");
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("it");
    let mut command = shell(&script);
    command.arg(&place);
    let log = folder.path().join("green.log");
    let patience = Duration::from_millis(700);
    let error = Replica::start("green".to_owned(), command, log, patience).await.unwrap_err().to_string();
    assert!(error.contains("not ready after 700ms") && error.contains("listening"), "{error}");
    let id = fs::read_to_string(folder.path().join("it.id")).unwrap();
    assert_eq!(memory::resident_bytes(id.trim()), None, "it runs on");
}

#[tokio::test]
async fn what_is_no_program_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Command::new("/nowhere/prowl-inference");
    let started = Replica::start("blue".to_owned(), missing, folder.path().join("log"), ANSWER).await;
    assert!(started.unwrap_err().to_string().contains("/nowhere/prowl-inference"));
    let started = Replica::start("blue".to_owned(), shell(":"), "/nowhere/log".into(), ANSWER).await;
    assert!(started.unwrap_err().to_string().contains("/nowhere/log"));
}

fn running(script: &str, folder: &Path) -> Replica {
    let child = shell(script).stdout(File::create(folder.join("log")).unwrap()).spawn().unwrap();
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    Replica {
        name: "blue".to_owned(),
        log: folder.join("log"),
        child,
        ports: Ports { grpc: nowhere, http: nowhere },
        model: ModelId::default(),
        ready_after: Duration::ZERO,
    }
}

#[tokio::test]
async fn the_end_after_a_signal_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let script = |then: &str| format!("trap '{then}' TERM; echo ready; while :; do sleep 0.05; done");
    for (then, code) in [("exit 0", Some(0)), ("exit 3", Some(3)), ("kill -9 $$", None)] {
        let replica = running(&script(then), folder.path());
        assert!(replica.resident_bytes().is_some());
        while fs::read_to_string(folder.path().join("log")).unwrap().is_empty() {
            sleep(LOOK).await;
        }
        let stopped = replica.stop(Duration::from_mins(1)).await.unwrap();
        assert_eq!(stopped.code, code, "{then}");
    }
    let deaf = running(&script(":"), folder.path());
    while fs::read_to_string(folder.path().join("log")).unwrap().is_empty() {
        sleep(LOOK).await;
    }
    let error = deaf.stop(Duration::from_millis(300)).await.unwrap_err().to_string();
    assert!(error.contains("blue had not drained 300ms after SIGTERM"), "{error}");
    let gone = running("exit 4", folder.path());
    while gone.resident_bytes().is_some() {
        sleep(LOOK).await;
    }
    assert_eq!(gone.stop(Duration::from_mins(1)).await.unwrap().code, Some(4), "it had ended before");
}
