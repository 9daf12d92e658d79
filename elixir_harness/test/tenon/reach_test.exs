defmodule TenonHarness.ReachTest do
  use TenonHarness.NodeCase, async: true

  # The options of `tenon run` have no counterpart in a BEAM stand-in's start here.
  @moduletag :tenon_only
  @moduletag :own_carrier

  # No other test has nodes of these names, so that a port is all that has to be free.
  defp name_at(host), do: "r#{System.unique_integer([:positive])}_#{System.pid()}@#{host}"

  test "nodes over IPv6 find and call each other" do
    tenon = start_tenon(name: name_at("::1"), args: ["--proto-dist", "inet6_tcp"])

    peer = start_beam(name: name_at("::1"), erl: ["-proto_dist", "inet6_tcp"])

    assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
    assert on(peer, name: tenon.name, do: Wait.call({:echo, name}, 6)) == 6
    {answer, 0} = ask(["ping", to_string(peer.name), "--proto-dist", "inet6_tcp"])
    assert answer == "pong\n"
  end

  test "a cluster without epmd" do
    port = free_port()
    here = "127.0.7.#{:rand.uniform(200)}"
    no_epmd = ["--epmd", "none", "--peer-port", to_string(port)]

    tenon =
      start_tenon(
        name: name_at(here),
        args: ["--interface", here, "--port", to_string(port) | no_epmd]
      )

    peer =
      start_beam(
        name: name_at("127.0.0.1"),
        erl:
          ["-start_epmd", "false", "-erl_epmd_port", to_string(port)] ++
            ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
      )

    assert tenon.port == port
    assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
    assert on(peer, name: tenon.name, do: Wait.call({:echo, name}, 7)) == 7
    {answer, 0} = ask(["ping", to_string(peer.name) | no_epmd])
    assert answer == "pong\n"
    [alive, _host] = tenon.name |> to_charlist() |> :string.split(~c"@")
    assert :erl_epmd.port_please(alive, {127, 0, 0, 1}) == :noport
    Program.signal(tenon.program, :TERM)
    assert Program.await_exit(tenon.program, 5_000) == 0
    assert [_] = TenonNode.events(tenon, :stopping)
    assert [_] = TenonNode.events(tenon, :stopped)
  end

  test "a port that is taken gives way to the next of the range" do
    {:ok, listener} = :gen_tcp.listen(0, ip: {127, 0, 0, 1})
    {:ok, taken} = :inet.port(listener)
    range = ["--port", to_string(taken), "--port-max", to_string(min(taken + 50, 65_535))]
    tenon = start_tenon(args: ["--interface", "127.0.0.1" | range])
    assert tenon.port in (taken + 1)..(taken + 50)
    assert Node.ping(tenon.name) == :pong
    :gen_tcp.close(listener)
  end

  test "it listens at the given address only" do
    port = free_port()

    tenon =
      start_tenon(
        name: name_at("127.0.0.3"),
        args: ["--interface", "127.0.0.3", "--port", to_string(port)]
      )

    assert tenon.port == port
    assert {:ok, socket} = :gen_tcp.connect({127, 0, 0, 3}, port, [])
    :gen_tcp.close(socket)
    assert {:error, :econnrefused} = :gen_tcp.connect({127, 0, 0, 1}, port, [])
  end

  defp ask(args) do
    System.cmd(TenonNode.executable(), args ++ ["--cookie", Cluster.cookie()])
  end
end
