defmodule TenonHarness.IOTest do
  use TenonHarness.NodeCase, async: true

  setup_all do
    {:ok, tenon: start_connected_tenon()}
  end

  # Runs `fun` with a group leader of its own, as a shell does; gives its result and what was written.
  defp in_session(input \\ "", fun) do
    {:ok, session} = StringIO.open(input)
    run = fn -> with_group_leader(session, fun) end
    result = run |> Task.async() |> Task.await(@timeout)
    {:ok, {_left, written}} = StringIO.close(session)
    {result, written}
  end

  defp with_group_leader(leader, fun) do
    Process.group_leader(self(), leader)
    fun.()
  end

  defp dead_pid do
    {pid, ref} = spawn_monitor(fn -> :ok end)
    assert_receive {:DOWN, ^ref, :process, ^pid, _reason}, @timeout
    pid
  end

  describe "a function that writes" do
    test "prints at whoever runs it by rpc", %{tenon: tenon} do
      assert in_session(fn -> :rpc.call(tenon.name, :demo, :write, ["grüße 🦊\n"]) end) ==
               {:ok, "grüße 🦊\n"}
    end

    test "prints at whoever runs it by erpc", %{tenon: tenon} do
      assert in_session(fn -> :erpc.call(tenon.name, :demo, :write, ["a\n"]) end) == {:ok, "a\n"}
    end

    test "prints at whoever runs it by rex", %{tenon: tenon} do
      run = fn ->
        Wait.call(
          {:rex, tenon.name},
          {:call, :demo, :write, ["by rex"], Process.group_leader()}
        )
      end

      assert in_session(run) == {:ok, "by rex"}
    end

    test "prints at whoever spawns it", %{tenon: tenon} do
      run = fn ->
        pid = Node.spawn(tenon.name, :demo, :write, ["spawned"])
        ref = Process.monitor(pid)
        receive do: ({:DOWN, ^ref, :process, ^pid, _normal_or_noproc} -> :ended)
      end

      assert in_session(run) == {:ended, "spawned"}
    end

    test "keeps the order of its lines", %{tenon: tenon} do
      lines = for n <- 1..50, do: "line #{n}\n"
      run = fn -> for line <- lines, do: :rpc.call(tenon.name, :demo, :write, [line]) end
      assert {_results, written} = in_session(run)
      assert written == Enum.join(lines)
    end

    test "fails at once when the group leader is dead", %{tenon: tenon} do
      dead = dead_pid()

      run = fn ->
        with_group_leader(dead, fn -> :rpc.call(tenon.name, :demo, :write, ["lost"]) end)
      end

      assert {{:error, :terminated}, ""} = in_session(run)
    end
  end

  describe "a function that reads a line" do
    test "gets what is typed at whoever runs it", %{tenon: tenon} do
      run = fn -> for _ <- 1..3, do: :rpc.call(tenon.name, :demo, :gets, ["name? "]) end
      assert in_session("José\nsecond", run) == {["José\n", "second", :eof], ""}
    end

    test "waits for it without holding up others, and fails when the session ends", %{
      tenon: tenon
    } do
      test = self()

      # A session whose user types nothing.
      session =
        spawn(fn ->
          receive do
            {:io_request, _from, _as, request} -> send(test, {:asked, request})
          end

          receive do: (:quit -> :ok)
        end)

      reader =
        Task.async(fn ->
          with_group_leader(session, fn -> :rpc.call(tenon.name, :demo, :gets, ["? "]) end)
        end)

      assert_receive {:asked, {:get_line, :unicode, prompt}}, @timeout
      assert IO.chardata_to_string(prompt) == "? "
      assert :rpc.call(tenon.name, :demo, :echo, [1]) == 1
      send(session, :quit)
      assert Task.await(reader, @timeout) == {:error, :terminated}
    end
  end

  describe "the group leader of a C node" do
    @tag :tenon_only
    test "has no input, and prints what is run elsewhere for it" do
      beam_node = start_beam()

      call = fn function, args ->
        {output, 0} =
          TenonNode.command(
            ["call", to_string(beam_node.name), "IO", function, args] ++
              ["--cookie", Cluster.cookie()]
          )

        output |> String.split("\n", trim: true) |> Enum.sort()
      end

      assert call.("gets", ~s(["name? "])) == [":eof"]
      assert call.("puts", ~s(["grüße"])) == [":ok", "grüße"]
    end
  end
end
