defmodule TenonHarness.ConnectionsTest do
  use TenonHarness.NodeCase, async: true

  describe "a node that runs" do
    setup do
      {:ok, tenon: start_tenon()}
    end

    test "answers a ping with pong and is listed by the BEAM node", %{tenon: tenon} do
      assert Node.ping(tenon.name) == :pong
      assert tenon.name in Node.list()
    end

    test "pings a BEAM node when it is told to connect" do
      monitor_nodes()
      tenon = start_tenon(connect: [node()])
      tenon_name = tenon.name
      assert_receive {:nodeup, ^tenon_name}
      TenonNode.await_event(tenon, :peer_up, node: node())
      assert tenon_name in Node.list()
    end

    test "is connected automatically when something is sent to it", %{tenon: tenon} do
      refute tenon.name in Node.list()
      GenServer.cast({:echo, tenon.name}, {self(), :hello})
      assert_receive :hello
      assert tenon.name in Node.list()
    end

    test "connects automatically when it sends to a node that is not connected", %{tenon: tenon} do
      relay = start_beam()
      driver = self()

      # The relay hands the pid of this node on; only the Tenon node then needs this node.
      on relay, target: tenon.name, driver: driver do
        GenServer.cast({:echo, target}, {driver, :from_afar})
      end

      assert_receive :from_afar
      assert Node.ping(tenon.name) == :pong
    end

    test "is seen to come and to go when it is killed", %{tenon: tenon} do
      name = tenon.name
      monitor_nodes()
      assert Node.ping(name) == :pong
      assert_receive {:nodeup, ^name}
      TenonNode.kill(tenon)
      assert_receive {:nodedown, ^name}
      refute name in Node.list()
    end

    test "logs the peers that come and go", %{tenon: tenon} do
      peer = start_beam()
      on peer, name: tenon.name, do: Node.ping(name)
      TenonNode.await_event(tenon, :peer_up, node: peer.name)
      Program.stop(peer.program)
      down = TenonNode.await_event(tenon, :peer_down, node: peer.name)
      assert down["reason"] != ""
    end

    test "serves several peers at once", %{tenon: tenon} do
      peers = for _ <- 1..3, do: start_beam()

      for peer <- peers do
        answer = on peer, name: tenon.name, do: Wait.call({:echo, name}, {:from, node()})
        assert answer == {:from, peer.name}
      end

      for peer <- peers do
        assert on(peer, name: tenon.name, do: name in Node.list())
        TenonNode.await_event(tenon, :peer_up, node: peer.name)
      end
    end

    test "keeps the other peers when one disconnects", %{tenon: tenon} do
      assert Node.ping(tenon.name) == :pong
      peer = start_beam()
      assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
      assert on(peer, name: tenon.name, do: Node.disconnect(name))
      TenonNode.await_event(tenon, :peer_down, node: peer.name)
      assert Wait.call({:echo, tenon.name}, :still_here) == :still_here
      assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
    end

    @tag :hostname
    test "takes the machine's own name as its host when none is given" do
      alive = Cluster.unique("c")
      tenon = start_tenon(name: alive)
      ready = TenonNode.await_event(tenon, :ready)
      assert [^alive, host] = String.split(ready["node"], "@")
      {:ok, own} = :inet.gethostname()
      assert host == own |> to_string() |> String.split(".") |> hd()
    end
  end

  describe "a hidden node" do
    test "answers but is listed as hidden only" do
      tenon = start_tenon(hidden: true)
      assert Node.ping(tenon.name) == :pong
      refute tenon.name in Node.list()
      assert tenon.name in Node.list(:hidden)
    end
  end

  describe "a wrong cookie" do
    test "is refused and does not disturb the others" do
      tenon = start_connected_tenon()
      stranger = start_beam(cookie: "another_cookie")
      assert on(stranger, name: tenon.name, do: Node.ping(name)) == :pang
      assert Wait.call({:echo, tenon.name}, :undisturbed) == :undisturbed
    end

    @tag :tenon_only
    test "is logged with the name of the peer" do
      tenon = start_tenon()
      stranger = start_beam(cookie: "another_cookie")
      assert on(stranger, name: tenon.name, do: Node.ping(name)) == :pang
      refused = TenonNode.await_event(tenon, :handshake_refused, peer: stranger.name)
      assert refused["reason"] =~ "cookie"
    end

    test "of ours towards a BEAM node leaves both running" do
      peer = start_beam(cookie: "another_cookie")
      tenon = start_tenon(connect: [peer.name])
      assert Node.ping(tenon.name) == :pong
      assert on(peer, [], do: Node.list()) == []
    end
  end

  describe "a node restarted under its name" do
    test "is back after SIGKILL" do
      monitor_nodes()
      first = start_connected_tenon()
      name = first.name
      assert_receive {:nodeup, ^name}
      TenonNode.kill(first)
      assert_receive {:nodedown, ^name}
      second = start_tenon(name: name)
      assert Node.ping(name) == :pong
      assert Wait.call({:echo, name}, :again) == :again
      assert second.name == name
    end

    @tag :beam_replaces
    test "replaces the connection that a BEAM node still holds to its predecessor" do
      monitor_nodes()
      name = Cluster.unique_node("c")
      {:ok, predecessor} = RawPeer.connect(node(), name: name)
      assert_receive {:nodeup, ^name}

      start_tenon(name: name, connect: [node()])
      assert_receive {:nodedown, ^name}
      assert_receive {:nodeup, ^name}
      assert Wait.call({:echo, name}, :replaced) == :replaced
      assert RawPeer.closed?(predecessor)
    end

    @tag :current_peer
    test "replaces the connection that Tenon still holds to its predecessor" do
      tenon = start_tenon()
      peer = start_beam()
      {:ok, predecessor} = RawPeer.connect(tenon, name: peer.name)
      TenonNode.await_event(tenon, :peer_up, node: peer.name)

      assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
      assert on(peer, name: tenon.name, do: Wait.call({:echo, name}, :replaced)) == :replaced
      assert RawPeer.closed?(predecessor)
      TenonNode.await_event(tenon, :peer_down, node: peer.name)
    end
  end

  describe "long names" do
    @describetag :long_names

    test "work as short ones do" do
      peer = start_beam(name: :"#{Cluster.unique("beam")}@#{Carrier.numeric_host()}")
      tenon = start_tenon(name: :"#{Cluster.unique("c")}@#{Carrier.numeric_host()}")
      assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
      assert on(peer, name: tenon.name, do: Wait.call({:echo, name}, :long)) == :long
    end
  end

  describe "simultaneous connects" do
    for {prefix, which} <- [{"a", "lesser"}, {"z", "greater"}] do
      test "between a BEAM node and Tenon, of the #{which} name, end with one connection that works" do
        tenon = start_connected_tenon(name: Cluster.unique_node(unquote(prefix)))
        peer = start_beam(name: Cluster.unique_node("m"))

        for round <- 1..10 do
          connect_both_ways(tenon, peer, round)
          assert on(peer, name: tenon.name, do: Wait.call({:echo, name}, :works)) == :works
          assert on(peer, name: tenon.name, do: Node.disconnect(name))
          await_downs(tenon, peer.name, round)
        end
      end
    end

    test "between two Tenon nodes end with one connection" do
      {one, two} = {start_connected_tenon(), start_connected_tenon()}
      pid_on_one = Node.spawn(one.name, :demo, :sleep, [30_000])
      pid_on_two = Node.spawn(two.name, :demo, :sleep, [30_000])

      # Each echo server now sends to a process of the other node, which makes its node connect.
      GenServer.cast({:echo, one.name}, {pid_on_two, :hello})
      GenServer.cast({:echo, two.name}, {pid_on_one, :hello})
      TenonNode.await_event(one, :peer_up, node: two.name)
      TenonNode.await_event(two, :peer_up, node: one.name)
      assert Wait.call({:echo, one.name}, 1) == 1
      assert Wait.call({:echo, two.name}, 2) == 2
      assert balance(one, two.name) == 1
      assert balance(two, one.name) == 1
    end

    test "are decided for the node with the greater name" do
      # Tenon's own attempt stays open until it is told that the peer's has won.
      tenon = start_tenon(name: Cluster.unique_node("m"))
      {lesser, greater} = {Cluster.unique_node("a"), Cluster.unique_node("z")}
      assert "nok" == status_while_tenon_connects(tenon, lesser)
      assert "ok_simultaneous" == status_while_tenon_connects(tenon, greater)
    end
  end

  # Both sides start to connect at about the same time: Tenon because its echo server sends to the peer.
  defp connect_both_ways(tenon, peer, round) do
    receiver =
      on peer, driver: self(), round: round do
        spawn(fn ->
          receive do
            ^round -> send(driver, {:arrived, round})
          end
        end)
      end

    GenServer.cast({:echo, tenon.name}, {receiver, round})
    assert on(peer, name: tenon.name, do: Node.connect(name))
    assert_receive {:arrived, ^round}
  end

  # The test listens as the node of that name, so that Tenon's attempt comes there.
  defp status_while_tenon_connects(tenon, name) do
    listening = RawPeer.listen(name)
    assert Node.ping(tenon.name) == :pong
    GenServer.cast({:echo, tenon.name}, {RawPeer.pid(listening, 1), :hello})
    {pending, from} = RawPeer.accept_name(listening)
    assert from == tenon.name
    {:ok, raw} = RawPeer.open(tenon, name: name)
    :ok = RawPeer.send_name(raw)
    status = RawPeer.status(raw)
    Enum.each([raw, pending], &RawPeer.close/1)
    status
  end

  # The log may say later that the connection is up, too: none that is up says nothing.
  defp await_downs(tenon, name, count),
    do: Wait.until("#{name} to be down", fn -> count(tenon, :peer_down, name) == count end)

  # How many connections to this node are up, by the log.
  defp balance(tenon, name), do: count(tenon, :peer_up, name) - count(tenon, :peer_down, name)

  defp count(tenon, event, name),
    do: tenon |> TenonNode.events(event) |> Enum.count(&(&1["node"] == to_string(name)))
end
