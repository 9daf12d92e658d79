alias TenonHarness.{Carrier, Cluster, Services, TenonNode, Wait}

# What a test needs is said by its tags; what this machine lacks is left out, and said.
lacks = [
  {:tenon_only, TenonNode.beam?(), "a BEAM node stands in for Tenon"},
  {:current_peer, TenonNode.beam?() and String.to_integer(System.otp_release()) < 25,
   "the BEAM node that stands in for Tenon is too old for them"},
  {:erpc_caller, TenonNode.beam?() and System.get_env("X3M") == "hex",
   "the BEAM node in place of Tenon may dispatch as 0.9.0 does"},
  {:erpc_library, Services.dispatches_as_0_9_0?(),
   "the X3m.System of the BEAM nodes dispatches as 0.9.0 does"},
  {:beam_replaces, String.to_integer(System.otp_release()) < 25,
   "OTP 23 never finishes the handshake of a node that it holds to be up"},
  {:long_names, :inet.getaddr(~c"127.0.0.1", :inet) != {:ok, {127, 0, 0, 1}}, "no IPv4 loopback"},
  {:own_carrier, Carrier.name() != "inet_tcp",
   "they say themselves how their nodes reach each other"},
  {:epmd, not Carrier.epmd?(), "all nodes listen on a port that is known"},
  {:proc, not File.exists?("/proc/self/status"), "no /proc"},
  {:not_sanitized, System.get_env("TENON_SAN") not in [nil, ""], "Tenon runs with a sanitizer"},
  {:ref_alias, not function_exported?(:erlang, :alias, 0), "aliases came with OTP 24"},
  {:runtime_tools, not Code.ensure_loaded?(:observer_backend), "runtime_tools is not installed"},
  {:observer_backend, TenonNode.beam?() and not Code.ensure_loaded?(:observer_backend),
   "the BEAM node in place of Tenon has no runtime_tools"},
  {:pg_monitor, not Code.ensure_loaded?(:pg) or not function_exported?(:pg, :monitor, 2),
   "pg:monitor/2 came with OTP 25.1"},
  {:hostname, match?({:error, _}, :inet.gethostname() |> elem(1) |> :inet.getaddr(:inet)),
   "the machine cannot resolve its own name"}
]

unless TenonNode.beam?() do
  for path <- [
        TenonNode.executable(),
        TenonNode.demo_so(),
        TenonNode.probe_so(),
        TenonNode.servers_so()
      ],
      not File.exists?(path) do
    IO.puts(
      :stderr,
      "#{path} is missing: run `make all live` first, or set TENON_BIN and the like"
    )

    System.halt(1)
  end
end

for {tag, true, why} <- lacks, do: IO.puts("tests tagged #{inspect(tag)} are left out: #{why}")

node = Cluster.join!()
peer = if TenonNode.beam?(), do: "a BEAM node in place of Tenon", else: TenonNode.executable()

IO.puts(
  "OTP #{System.otp_release()}, Elixir #{System.version()}, node #{node}, over #{Carrier.name()}, with #{peer}"
)

ExUnit.start(
  exclude: for({tag, true, _why} <- lacks, do: tag),
  assert_receive_timeout: Wait.deadline_ms(),
  # Several waits of a test, one after the other, are to be told apart by which of them fails.
  timeout: 20 * Wait.deadline_ms(),
  max_cases: 4
)
