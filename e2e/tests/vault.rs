//! Secrets from a real Vault: each stage reads its own and no other's, whatever the login; they follow what is written
//! there; and whatever is wrong is said in a sentence that holds none of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

#[path = "vault/given.rs"]
mod given;

use std::time::Duration;

use given::{Given, TokenReview, approle, eventually, lines, log, value};
use prowl_e2e::servers::OpenBao;
use prowl_e2e::{Server, TestStore};
use prowl_platform::Secrets;
use serde_json::{Value, json};

/// So long that nothing is looked for by itself.
const NEVER: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn each_stage_reads_its_own_path_and_no_other() {
    let vault = OpenBao::start();
    vault.put_policies();
    let stages = OpenBao::stages();
    // Each row of the table of stages has a policy below it.
    let rows = include_str!("../../docs/secrets.md").lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|')).map(|row| row.split_whitespace().nth(1).unwrap());
    assert_eq!(stages, rows.collect::<Vec<_>>());
    for stage in &stages {
        vault.put(&format!("secret/prowl/staging/{stage}"), &json!({ "spaces_key": format!("planted-for-{stage}") }));
    }
    for stage in &stages {
        let token = vault.token(&[&format!("prowl-staging-{stage}")], &json!({}));
        for other in &stages {
            let given = Given::of(&vault, &format!("secret/prowl/staging/{other}")).with("VAULT_TOKEN", &token);
            if stage == other {
                let secrets = given.open(&["spaces_key"], NEVER).await.unwrap();
                let found = (value(&secrets, "spaces_key"), secrets.version());
                assert_eq!(found, (format!("planted-for-{stage}"), Some(1)));
            } else {
                let refused = format!(
                    "Vault at {} does not let this program read secret/data/prowl/staging/{other}: give its policy read on \
                     that path, or correct VAULT_SECRET_PATH if this is the path of another stage",
                    vault.address()
                );
                assert_eq!(given.refused(&["spaces_key"]).await, refused, "{stage} reads that of {other}");
            }
        }
    }
    assert!(!log().contains("planted-for-"), "a secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_logs_in_as_its_surroundings_allow() {
    let vault = OpenBao::start();
    vault.put_policies();
    vault.put("secret/prowl/staging/cluster", &json!({ "spaces_key": "planted-login" }));
    let given = Given::of(&vault, "secret/prowl/staging/cluster");
    let reads = async |given: Given| {
        let secrets = given.open(&["spaces_key"], NEVER).await.unwrap();
        assert_eq!(value(&secrets, "spaces_key"), "planted-login");
    };
    let refused = format!("Vault at {} refuses the login at auth/", vault.address());

    let (role_id, secret_id) = approle(&vault, "cluster", &json!({ "token_ttl": "1h" }));
    let by_role = given.clone().with("VAULT_ROLE_ID", &role_id).with("VAULT_SECRET_ID", &secret_id);
    reads(by_role.clone()).await;
    let wrong = by_role.with("VAULT_SECRET_ID", "planted-wrong").refused(&["spaces_key"]).await;
    assert_eq!(
        wrong,
        format!(
            "{refused}approle: check VAULT_ROLE_ID, VAULT_SECRET_ID, VAULT_AUTH_MOUNT, and the role in Vault: invalid role or \
             secret ID"
        )
    );

    let file = vault.folder().join("token");
    let by_file = given.clone().with("VAULT_JWT_FILE", file.to_str().unwrap()).with("VAULT_ROLE", "cluster");
    let missing = by_file.refused(&["spaces_key"]).await;
    assert!(missing.starts_with(&format!("cannot read the token to log in with from {}", file.display())), "{missing}");

    let token = vault.allow("cluster");
    let by_jwt = by_file.clone().with("VAULT_AUTH_MOUNT", "jwt");
    std::fs::write(&file, token + "\n").unwrap();
    reads(by_jwt.clone()).await;
    let wrong = by_jwt.clone().with("VAULT_ROLE", "trainer").refused(&["spaces_key"]).await;
    let jwt = format!("{refused}jwt: check VAULT_ROLE, VAULT_AUTH_MOUNT, and the role in Vault: ");
    assert_eq!(wrong, format!("{jwt}role \"trainer\" could not be found"));
    std::fs::write(&file, vault.service_account_token("cluster", -3_600)).unwrap();
    let expired = by_jwt.clone().refused(&["spaces_key"]).await;
    assert!(expired.starts_with(&jwt) && expired.ends_with("token is expired"), "{expired}");
    let nowhere = by_jwt.with("VAULT_AUTH_MOUNT", "nowhere").refused(&["spaces_key"]).await;
    assert!(nowhere.starts_with(&format!("{refused}nowhere: check VAULT_ROLE, VAULT_AUTH_MOUNT")), "{nowhere}");

    let review = TokenReview::start("system:serviceaccount:prowl:cluster");
    vault.write("sys/auth/kubernetes", &json!({ "type": "kubernetes" }));
    given::configure_kubernetes(&vault, &review);
    for name in ["cluster", "trainer"] {
        let role = json!({ "bound_service_account_names": [name], "bound_service_account_namespaces": ["prowl"],
            "token_policies": [format!("prowl-staging-{name}")] });
        vault.write(&format!("auth/kubernetes/role/{name}"), &role);
    }
    std::fs::write(&file, vault.service_account_token("cluster", 3_600)).unwrap();
    reads(by_file.clone()).await;
    let other = by_file.with("VAULT_ROLE", "trainer").refused(&["spaces_key"]).await;
    assert!(other.starts_with(&format!("{refused}kubernetes: check VAULT_ROLE")), "{other}");

    let token = vault.token(&["prowl-staging-cluster"], &json!({}));
    reads(given.clone().with("VAULT_TOKEN", &token)).await;
    vault.write("auth/token/revoke", &json!({ "token": token }));
    let revoked = given.with("VAULT_TOKEN", &token).refused(&["spaces_key"]).await;
    let text = format!(
        "Vault at {} refuses VAULT_TOKEN: it has expired, was revoked or is of another Vault; ",
        vault.address()
    );
    assert!(revoked.starts_with(&text), "{revoked}");

    let log = log();
    for planted in ["planted-login", "planted-wrong", &role_id, &secret_id, &token, "eyJ"] {
        assert!(!log.contains(planted), "{planted} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_secret_or_with_vault_is_said() {
    let vault = OpenBao::start();
    vault.put_policies();
    let path = "secret/prowl/staging/trainer";
    let (address, token) = (vault.address(), vault.token(&["prowl-staging-trainer"], &json!({})));
    let given = Given::of(&vault, path).with("VAULT_TOKEN", &token);
    let missing = format!("no secret {path} in Vault at {address}: write it with `vault kv put`");
    assert!(given.refused(&["mlflow_token"]).await.starts_with(&missing));

    vault.put(path, &json!({ "mlflow_token": { "planted": 1 } }));
    let no_text = format!("mlflow_token of the secret {path} in Vault is no text: write it as a string");
    assert_eq!(given.refused(&["mlflow_token"]).await, no_text);

    vault.put(path, &json!({ "mlflow_token": "planted-error", "spaces_key": "" }));
    let secrets = given.open(&["mlflow_token", "spaces_key", "mlflow_uri"], NEVER).await.unwrap();
    assert_eq!((value(&secrets, "mlflow_token").as_str(), secrets.version()), ("planted-error", Some(2)));
    for key in ["spaces_key", "mlflow_uri"] {
        let text = format!(
            "there is no secret {key}: version 2 of {path} in Vault has no such key; add it with `vault kv patch`"
        );
        assert_eq!(secrets.need(key).unwrap_err().to_string(), text);
    }
    assert!(!format!("{secrets:?}").contains("planted"));

    vault.delete("secret/data/prowl/staging/trainer");
    let deleted = given.refused(&["mlflow_token"]).await;
    assert!(deleted.starts_with(&format!("version 2 of the secret {path} in Vault was deleted: ")), "{deleted}");

    vault.seal();
    assert_eq!(given.refused(&["mlflow_token"]).await, format!("Vault at {address} is sealed: unseal it"));

    drop(vault);
    let away = given.refused(&["mlflow_token"]).await;
    let text = format!("cannot reach Vault at {address}: is it running, and is VAULT_ADDR right?: ");
    assert!(away.starts_with(&text) && away.contains("refused"), "{away}");

    // The answers of a server of another kind.
    let other = TokenReview::start("nobody");
    let no_vault = given.with("VAULT_ADDR", &other.address()).refused(&["mlflow_token"]).await;
    assert!(no_vault.starts_with(&format!("what answers at {} is no Vault: ", other.address())), "{no_vault}");
    assert!(!log().contains("planted-error") && !log().contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_of_vault_is_named_or_vault_is_not_trusted() {
    let vault = OpenBao::start_with_tls();
    vault.client(&["kv", "put", "-mount=secret", "tls", "spaces_key=planted-tls"]);
    let given = Given::of(&vault, "secret/tls").with("VAULT_TOKEN", prowl_e2e::servers::ROOT_TOKEN);

    let untrusted = given.refused(&["spaces_key"]).await;
    assert!(
        untrusted.starts_with(&format!("the certificate of Vault at {} is not trusted", vault.address())),
        "{untrusted}"
    );
    let plain = given.clone().with("VAULT_ADDR", &vault.address().replace("https", "http"));
    assert!(
        plain.refused(&["spaces_key"]).await.contains("is no Vault: correct VAULT_ADDR, its http or https included")
    );

    let secrets = given.with("VAULT_CACERT", &vault.authority()).open(&["spaces_key"], NEVER).await.unwrap();
    assert_eq!(value(&secrets, "spaces_key"), "planted-tls");
    assert!(!log().contains("planted-tls"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_renewed_and_made_anew_before_it_ends() {
    let vault = OpenBao::start();
    let mut following = Vec::new();
    // One may log in once, and so lives by renewals; the other is not renewed beyond nine seconds.
    let once = json!({ "token_ttl": "6s", "secret_id_num_uses": 1 });
    for (stage, options) in [("cluster", once), ("export", json!({ "token_ttl": "6s", "token_max_ttl": "9s" }))] {
        let path = format!("secret/renewed/{stage}");
        vault.put(&path, &json!({ "spaces_key": "first" }));
        let rules = format!("path \"secret/data/renewed/{stage}\" {{ capabilities = [\"read\"] }}");
        vault.write(&format!("sys/policies/acl/prowl-staging-{stage}"), &json!({ "policy": rules }));
        let (role_id, secret_id) = approle(&vault, stage, &options);
        let given = Given::of(&vault, &path).with("VAULT_ROLE_ID", &role_id).with("VAULT_SECRET_ID", &secret_id);
        following.push((path, given.open(&["spaces_key"], NEVER).await.unwrap()));
    }
    // Beyond the nine seconds, and the six of a new login are not over.
    tokio::time::sleep(11 * SECOND).await;
    for (path, secrets) in &following {
        vault.put(path, &json!({ "spaces_key": "second" }));
        secrets.refresh().await.unwrap();
        assert_eq!(value(secrets, "spaces_key"), "second");
        assert_eq!(lines(&[path, "stay as they were"]), 0, "there was a time without a login");
    }
    let logins = following.iter().map(|(path, _)| lines(&[path, "logged in to Vault"]));
    assert_eq!(logins.collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_changes_is_used_without_a_restart() {
    let vault = OpenBao::start();
    let path = "secret/rotated";
    vault.put(path, &json!({ "spaces_key": "planted-first" }));
    let given = Given::of(&vault, path).with("VAULT_TOKEN", prowl_e2e::servers::ROOT_TOKEN);
    let [by_itself, when_asked] =
        [given.open(&["spaces_key"], SECOND / 5).await.unwrap(), given.open(&["spaces_key"], NEVER).await.unwrap()];
    let clone = by_itself.clone();
    drop(by_itself);

    vault.put(path, &json!({ "spaces_key": "planted-second" }));
    eventually("the change", || clone.version() == Some(2)).await;
    assert_eq!(value(&clone, "spaces_key"), "planted-second");

    assert_eq!(value(&when_asked, "spaces_key"), "planted-first");
    let (one, other) = tokio::join!(when_asked.refresh(), when_asked.refresh());
    one.and(other).unwrap();
    assert_eq!(value(&when_asked, "spaces_key"), "planted-second");

    // What is deleted stays in use, which is told once.
    vault.delete("secret/data/rotated");
    eventually("the warning", || lines(&[path, "stay as they were", "was deleted"]) == 1).await;
    let error = when_asked.refresh().await.unwrap_err().to_string();
    assert!(error.starts_with("version 2 of the secret secret/rotated in Vault was deleted"), "{error}");
    tokio::time::sleep(SECOND).await;
    assert_eq!(lines(&[path, "stay as they were"]), 1);
    assert_eq!(
        (value(&clone, "spaces_key"), value(&when_asked, "spaces_key")),
        ("planted-second".into(), "planted-second".into())
    );

    vault.put(path, &json!({ "spaces_key": "planted-third" }));
    eventually("the next version", || clone.version() == Some(3)).await;
    assert_eq!(value(&clone, "spaces_key"), "planted-third");
    assert_eq!(lines(&[path, "gives the secrets again"]), 1);
    for planted in ["planted-first", "planted-second", "planted-third"] {
        assert!(!log().contains(planted), "{planted} is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_rotated_away_lets_nobody_in() {
    let vault = OpenBao::start();
    let path = "secret/prowl/staging/inference";
    vault.put_policies();
    let [old, new, local] =
        ["a-token-that-is-rotated-away", "the-token-that-takes-its-place", "a-token-of-the-surroundings"];
    vault.put(path, &json!({ "api_tokens": format!("ci:{old}") }));
    let environment = [
        ("VAULT_ADDR", vault.address()),
        ("VAULT_SECRET_PATH", path.to_owned()),
        ("VAULT_TOKEN", vault.token(&["prowl-staging-inference"], &json!({}))),
        // Where there is a Vault, secrets come from nowhere else.
        ("API_TOKENS", format!("ci:{local}")),
    ];
    let (store, _) = TestStore::trained(300, 5);
    let server = Server::start_guarded_with(&environment, &store.url, "latest");
    let asked = |token: &str| server.get_with("/v1/model", &format!("authorization: Bearer {token}\r\n")).unwrap().0;
    assert_eq!([old, new, local].map(asked), [200, 401, 401]);
    vault.put(path, &json!({ "api_tokens": format!("ci:{new}") }));
    eventually("the new token", || asked(new) == 200).await;
    assert_eq!([old, new, local].map(asked), [401, 200, 401]);
    for token in [old, new, local] {
        assert!(!server.log().contains(token), "{}", server.log());
    }
    assert_eq!(server.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_secrets_stay_while_vault_is_sealed_or_away() {
    let path = "secret/prowl/staging/inference";
    let set_up = |vault: &OpenBao, secret: &str| -> Given {
        vault.put_policies();
        vault.put(path, &json!({ "api_tokens": secret }));
        // The same on each of the two servers.
        let (role_id, secret_id) =
            approle(vault, "inference", &json!({ "role_id": "service", "secret_id": "planted-id" }));
        Given::of(vault, path).with("VAULT_ROLE_ID", &role_id).with("VAULT_SECRET_ID", &secret_id)
    };
    let vault = OpenBao::start();
    let secrets = set_up(&vault, "planted-before").open(&["api_tokens"], SECOND / 5).await.unwrap();

    vault.seal();
    eventually("the warning", || lines(&[path, "stay as they were", "is sealed: unseal it"]) == 1).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(lines(&[path, "stay as they were"]), 1, "it is told again and again");
    let error = secrets.refresh().await.unwrap_err().to_string();
    assert_eq!(error, format!("Vault at {} is sealed: unseal it", vault.address()));
    assert_eq!(value(&secrets, "api_tokens"), "planted-before");
    vault.unseal();
    eventually("recovery", || lines(&[path, "gives the secrets again"]) == 1).await;

    assert!(!log().contains("vaultrs::"), "the client has a log of its own");

    let port = vault.port();
    drop(vault);
    eventually("the warning", || lines(&[path, "stay as they were", "cannot reach Vault"]) == 1).await;
    assert_eq!(value(&secrets, "api_tokens"), "planted-before");
    // This one knows nothing of the logins of the other.
    let vault = OpenBao::start_at(port);
    set_up(&vault, "planted-after");
    eventually("recovery", || value(&secrets, "api_tokens") == "planted-after").await;
    assert!(!log().contains("planted-before") && !log().contains("planted-after") && !log().contains("planted-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_on_once_the_last_clone_is_gone() {
    let vault = OpenBao::start();
    vault.put("secret/dropped", &json!({ "spaces_key": "a" }));
    let given = Given::of(&vault, "secret/dropped").with("VAULT_TOKEN", prowl_e2e::servers::ROOT_TOKEN);
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let secrets: Secrets = given.open(&["spaces_key"], SECOND / 5).await.unwrap();
    let clone = secrets.clone();
    drop(secrets);
    vault.put("secret/dropped", &json!({ "spaces_key": "b" }));
    eventually("the change", || value(&clone, "spaces_key") == "b").await;
    assert!(tasks() > 0, "this test could not fail");
    drop(clone);
    eventually("the end of all tasks", || tasks() == 0).await;
    assert_ne!(vault.read("secret/data/dropped"), Value::Null);
}
