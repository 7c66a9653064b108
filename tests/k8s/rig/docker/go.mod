// The real Docker Compose and BuildKit's own Dockerfile parser. Compose names BuildKit's version.
module rig.local/docker

go 1.25.9

require github.com/docker/compose/v5 v5.2.0
