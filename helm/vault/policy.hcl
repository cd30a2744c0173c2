# All that a stage may do: read its own secret. bootstrap.sh fills in the mount and the path. A KV engine of version 2 keeps what a
# secret holds below data/.
path "@MOUNT@/data/@PATH@" {
  capabilities = ["read"]
}
