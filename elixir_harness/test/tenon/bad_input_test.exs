defmodule TenonHarness.BadInputTest do
  use TenonHarness.NodeCase, async: true

  setup do
    tenon = start_connected_tenon()
    {:ok, tenon: tenon}
  end

  describe "before the handshake" do
    test "garbage closes the connection", %{tenon: tenon} do
      for garbage <- [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            <<0::800>>,
            <<255, 255>> <> :binary.copy(<<1>>, 100),
            <<0, 1, ?N>>,
            <<0, 5, "hello">>,
            <<0, 15, ?N, 0::64, 1::32, 200::16>>,
            <<0, 7, ?n, 0, 5, 0::32>>
          ] do
        {:ok, raw} = RawPeer.open(tenon)
        :ok = RawPeer.send_bytes(raw, garbage)
        RawPeer.shutdown(raw)
        assert RawPeer.closed?(raw), "not closed after #{inspect(garbage)}"
      end

      assert_undisturbed(tenon)
    end

    @tag :tenon_only
    test "a refusal is logged with its reason", %{tenon: tenon} do
      {:ok, raw} = RawPeer.open(tenon)
      :ok = RawPeer.send_packet(raw, "what is this")
      assert RawPeer.closed?(raw)

      Wait.until("a logged reason", fn ->
        Enum.any?(
          TenonNode.events(tenon, :handshake_refused) ++
            TenonNode.events(tenon, :connection_closed),
          &(&1["reason"] not in [nil, ""])
        )
      end)
    end

    test "flags that we need are asked for", %{tenon: tenon} do
      assert {:refused, "not_allowed"} = RawPeer.connect(tenon, flags: 0x1)
      assert_undisturbed(tenon)
    end

    @tag :tenon_only
    test "the missing flag is named in the log", %{tenon: tenon} do
      name = Cluster.unique_node("raw")
      without_utf8_atoms = RawPeer.flags() - 0x10000 - 0x4000000

      assert {:refused, "not_allowed"} =
               RawPeer.connect(tenon, name: name, flags: without_utf8_atoms)

      refused = TenonNode.await_event(tenon, :handshake_refused)
      assert refused["reason"] =~ to_string(name)
      assert refused["reason"] =~ "UTF8_ATOMS"
    end

    test "a wrong cookie gets no ack", %{tenon: tenon} do
      assert {:refused, :closed} = RawPeer.connect(tenon, cookie: "wrong")
      assert_undisturbed(tenon)
    end

    @tag :tenon_only
    test "a peer that stays silent is dropped after the stated time" do
      tenon = start_tenon(args: ["--connect-timeout", "2000"])
      {:ok, silent} = RawPeer.open(tenon)
      {:ok, half_open} = RawPeer.open(tenon)
      RawPeer.send_name(half_open)
      for raw <- [silent, half_open], do: assert(RawPeer.closed?(raw))

      Wait.until("both in the log", fn ->
        length(TenonNode.events(tenon, :handshake_refused)) == 2
      end)

      # Who is not silent may still be too slow for that time.
      Wait.until("pong", fn -> Node.ping(tenon.name) == :pong end)
      assert_undisturbed(tenon)
    end

    test "many silent connections do not keep others out", %{tenon: tenon} do
      silent = for _ <- 1..50, do: elem(RawPeer.open(tenon), 1)
      peer = start_beam()
      assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
      Enum.each(silent, &RawPeer.close/1)
    end
  end

  describe "after the handshake, where the protocol is broken" do
    for {what, index} <-
          Enum.with_index([
            "garbage in place of a control message",
            "an empty control term",
            "a truncated term",
            "a control message that is no tuple",
            "a distribution header that was not agreed on",
            "a frame above any limit",
            "a binary that is longer than its frame",
            "a compressed term",
            "a send without its message",
            "a link from a pid that is no pid"
          ]) do
      test "#{what} closes this connection only", %{tenon: tenon} do
        {:ok, raw} = RawPeer.connect(tenon)
        break(unquote(index), raw)
        assert RawPeer.closed?(raw)
        assert_undisturbed(tenon)
        assert_logged(tenon, raw)
      end
    end
  end

  describe "after the handshake, where only a message is bad" do
    @tag :current_peer
    test "messages to names and pids that nobody has are dropped", %{tenon: tenon} do
      {:ok, raw} = RawPeer.connect(tenon)
      RawPeer.send_to(raw, :nobody_has_this_name, {:hello, 1})
      pid = pid_of(tenon, 32_000)
      RawPeer.control(raw, {2, :"", pid}, :hello)
      RawPeer.control(raw, {20, RawPeer.pid(raw, 1), pid, RawPeer.ref(raw, 1)})
      RawPeer.control(raw, {36, 17, RawPeer.pid(raw, 1), pid})
      assert_answers(raw)
    end

    @tag :current_peer
    test "monitors, links and spawn requests for nothing are answered", %{tenon: tenon} do
      {:ok, raw} = RawPeer.connect(tenon)
      {me, missing} = {RawPeer.pid(raw, 1), pid_of(tenon, 32_001)}

      for {target, n} <- Enum.with_index([missing, :nobody_has_this_name, :""], 10) do
        ref = RawPeer.ref(raw, n)
        RawPeer.control(raw, {19, me, target, ref})
        assert RawPeer.receive_control(raw, &exit_of_monitor(&1, ref)) == {target, :noproc}
      end

      RawPeer.control(raw, {1, me, missing})

      assert RawPeer.receive_control(raw, fn
               {{24, ^missing, ^me}, reason} -> reason
               {{3, ^missing, ^me, reason}, nil} -> reason
               _other -> nil
             end) == :noproc

      RawPeer.control(raw, {35, 77, me, missing})
      assert RawPeer.receive_control(raw, &match?({{36, 77, ^missing, ^me}, nil}, &1))

      spawn_ref = RawPeer.ref(raw, 20)
      RawPeer.control(raw, {29, spawn_ref, me, me, {:no_such, :f, 0}, [:monitor]}, [])

      assert RawPeer.receive_control(raw, fn
               {{31, ^spawn_ref, ^me, 2, pid}, nil} when is_pid(pid) -> :replied
               _other -> nil
             end) == :replied

      assert {_pid, {:undef, [{:no_such, :f, [], []} | _]}} =
               RawPeer.receive_control(raw, &exit_of_monitor(&1, spawn_ref))

      assert_answers(raw)
    end

    @tag :tenon_only
    test "a control message of an unknown kind is passed over", %{tenon: tenon} do
      {:ok, raw} = RawPeer.connect(tenon)
      RawPeer.control(raw, {99, :what, :is, :this})
      RawPeer.control(raw, {1_000_000, 1}, :with_a_message)
      assert_answers_or_closed(raw)
      assert_undisturbed(tenon)
    end

    @tag :tenon_only
    test "a term nested a million deep is refused", %{tenon: tenon} do
      {:ok, raw} = RawPeer.connect(tenon)

      nested = [131, :binary.copy(<<104, 1>>, 1_000_000), 106]
      control = :erlang.term_to_binary({6, RawPeer.pid(raw, 1), :"", :echo})
      RawPeer.send_packet(raw, [112, control, nested])
      assert_answers_or_closed(raw)
      assert_undisturbed(tenon)
    end

    @tag :tenon_only
    test "a message that is nested too deep is dropped, and the connection stays", %{tenon: tenon} do
      assert Wait.call({:echo, tenon.name}, :before) == :before
      :ok = :net_kernel.monitor_nodes(true)
      deep = Enum.reduce(1..1_000, [], fn _, inner -> [inner, "x"] end)
      GenServer.cast({:echo, tenon.name}, {self(), deep})
      assert Wait.call({:echo, tenon.name}, :after) == :after
      TenonNode.await_event(tenon, :message_too_deep)
      assert {:badrpc, {:EXIT, :system_limit}} = :rpc.call(tenon.name, :demo, :echo, [deep])
      name = tenon.name
      refute_received {:nodedown, ^name}
    end

    @tag :tenon_only
    test "duplicate map keys, bad UTF-8 and too long atoms do no harm", %{tenon: tenon} do
      for bytes <- [
            <<131, 116, 0, 0, 0, 2, 97, 1, 97, 1, 97, 1, 97, 2>>,
            <<131, 119, 2, 255, 255>>,
            <<131, 118, 1_100::16>> <> :binary.copy("a", 1_100),
            <<131, 70, 0x7FF0000000000000::64>>,
            <<131, 110, 0, 0>>,
            <<131, 110, 3, 7, 0, 0, 0>>,
            <<131, 77, 0, 0, 0, 1, 9, 255>>,
            <<131, 77, 0, 0, 0, 0, 5>>
          ] do
        {:ok, raw} = RawPeer.connect(tenon)
        control = :erlang.term_to_binary({6, RawPeer.pid(raw, 1), :"", :echo})
        RawPeer.send_packet(raw, [112, control, bytes])
        assert_answers_or_closed(raw)
        RawPeer.close(raw)
      end

      assert_undisturbed(tenon)
    end

    test "messages to the servers of OTP with unexpected content are dropped", %{tenon: tenon} do
      {:ok, raw} = RawPeer.connect(tenon)

      for name <- [:global_name_server, :pg, :user, :logger_proxy, :init, :kernel_sup] do
        if not TenonNode.beam?(), do: RawPeer.send_to(raw, name, {:unexpected, [1, 2, 3]})
      end

      for name <- [:rex, :net_kernel], do: RawPeer.send_to(raw, name, {:unexpected, [1, 2, 3]})
      assert_answers(raw)
    end
  end

  describe "a frame that comes in pieces" do
    test "is put together", %{tenon: tenon} do
      {:ok, raw} = RawPeer.connect(tenon)
      message = :erlang.term_to_binary({:"$gen_cast", {RawPeer.pid(raw, 1), :in_pieces}})
      control = :erlang.term_to_binary({6, RawPeer.pid(raw, 1), :"", :echo})
      frame = IO.iodata_to_binary([112, control, message])

      for <<(byte <- <<byte_size(frame)::32, frame::binary>>)>>,
        do: :ok = RawPeer.send_bytes(raw, <<byte>>)

      :ok = RawPeer.set_packet(raw, 4)
      assert RawPeer.receive_control(raw, fn {_control, message} -> message == :in_pieces end)
    end

    test "and never ends does not hold up the others", %{tenon: tenon} do
      {:ok, raw} = RawPeer.connect(tenon)
      RawPeer.send_bytes(raw, <<1_000_000::32, 112, 131>>)
      assert_undisturbed(tenon)
      RawPeer.close(raw)
    end
  end

  defp break(0, raw), do: RawPeer.send_packet(raw, [112, "this is not a term"])
  defp break(1, raw), do: RawPeer.send_packet(raw, [112])
  defp break(2, raw), do: RawPeer.send_packet(raw, [112, 131, 104, 4, 97, 6])
  defp break(3, raw), do: RawPeer.control(raw, [:not, :a, :tuple])
  defp break(4, raw), do: RawPeer.send_packet(raw, [131, 68, 3, 1, 2, 3])

  defp break(5, raw),
    do: RawPeer.send_bytes(raw, [<<0xFFFFFFF0::32>>, :binary.copy(<<0>>, 100_000)])

  defp break(6, raw) do
    control = :erlang.term_to_binary({6, RawPeer.pid(raw, 1), :"", :echo})
    RawPeer.send_packet(raw, [112, control, <<131, 109, 0xFFFFFFFF::32, 1, 2, 3>>])
  end

  defp break(7, raw) do
    control = :erlang.term_to_binary({6, RawPeer.pid(raw, 1), :"", :echo})

    packed =
      :erlang.term_to_binary(List.duplicate(0, 10_000) |> :erlang.list_to_binary(), [:compressed])

    <<131, 80, _::binary>> = packed
    RawPeer.send_packet(raw, [112, control, packed])
  end

  defp break(8, raw), do: RawPeer.control(raw, {6, RawPeer.pid(raw, 1), :"", :echo})
  defp break(9, raw), do: RawPeer.control(raw, {1, :not_a_pid, RawPeer.pid(raw, 1)})

  defp exit_of_monitor({{28, target, _me, ref}, reason}, ref), do: {target, reason}
  defp exit_of_monitor({{21, target, _me, ref, reason}, nil}, ref), do: {target, reason}
  defp exit_of_monitor(_other, _ref), do: nil

  # A pid of the node that no process has, made from one that it has given us.
  defp pid_of(tenon, id) do
    <<131, 88, rest::binary>> = :erlang.term_to_binary(Node.spawn(tenon.name, :demo, :sleep, [1]))
    {name, numbers} = :erlang.split_binary(rest, byte_size(rest) - 12)
    <<_id::32, serial::32, creation::32>> = numbers
    :erlang.binary_to_term(<<131, 88, name::binary, id::32, serial::32, creation::32>>)
  end

  defp assert_answers(raw) do
    RawPeer.send_to(raw, :echo, {:"$gen_cast", {RawPeer.pid(raw, 1), :still_here}})

    assert RawPeer.receive_control(raw, fn {_control, message} -> message == :still_here end) ==
             true
  end

  defp assert_answers_or_closed(raw) do
    RawPeer.send_to(raw, :echo, {:"$gen_cast", {RawPeer.pid(raw, 1), :still_here}})

    case RawPeer.try_receive_control(raw, fn {_control, message} -> message == :still_here end) do
      true -> :answers
      {:error, reason} -> assert reason in [:closed, :econnreset, :epipe]
    end
  end

  # The driver's own connection has been up since before.
  defp assert_undisturbed(tenon) do
    assert Wait.call({:echo, tenon.name}, :undisturbed) == :undisturbed
    assert tenon.name in Node.list()
  end

  defp assert_logged(tenon, raw) do
    unless TenonNode.beam?() do
      reason =
        Wait.until("the reason in the log", fn ->
          Enum.find_value([:connection_closed, :peer_down], fn event ->
            events = TenonNode.events(tenon, event)
            Enum.find_value(events, &(to_string(raw.name) in Map.values(&1) && &1["reason"]))
          end)
        end)

      assert byte_size(reason) > 0
    end
  end
end
