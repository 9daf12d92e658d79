for generation <- TenonHarness.Services.generations() do
  defmodule Module.concat(TenonHarness.DispatchTest, Macro.camelize("#{generation}")) do
    use TenonHarness.NodeCase, async: true
    alias TenonHarness.Services

    @generation generation

    describe "#{generation}: a dispatch from C with several providers" do
      setup do
        [one, two] = for _ <- 1..2, do: start_offering_beam()
        caller = start_beam(x3m: @generation)
        tenon = start_tenon(connect: [one.name, two.name, caller.name])
        Services.await_providers(caller, :c_calls_back, [tenon.name])

        Wait.until("both providers", fn ->
          seen = for _ <- 1..20, do: response(caller, :e_where, nil)
          Enum.sort(Enum.uniq(seen)) == Enum.sort([{:ok, one.name}, {:ok, two.name}])
        end)

        {:ok, caller: caller, one: one.name, two: two.name}
      end

      @tag :erpc_caller
      @tag :tenon_only
      test "moves on when one asks for another node, with the message as new", %{
        caller: caller,
        one: one,
        two: two
      } do
        # Whom it asks first is chance.
        seen =
          Wait.until("one to be asked first", fn ->
            seen = for _ <- 1..20, do: response(caller, :e_busy, %{"busy" => [one]})
            if Enum.any?(seen, &match?({:ok, %{assigns: %{refused_by: _}}}, &1)), do: seen
          end)

        for response <- seen do
          assert {:ok, %{node: ^two, halted?: false, response: nil} = got} = response
          assert got.request == nil
          assert got.events == []
          assert got.assigns in [%{}, %{refused_by: one}]
        end

        # What the first provider has assigned has gone on to the second, in one of them.
        assert Enum.any?(seen, fn {:ok, got} -> got.assigns == %{refused_by: one} end)
      end

      @tag :erpc_caller
      test "tells of all that refused, latest first", %{caller: caller, one: one, two: two} do
        inner = called_back(caller, :e_busy, %{"busy" => [one, two]})
        assert {:error, {:no_nodes_available, refusals}} = inner["response"]
        assert Enum.sort(refusals) == Enum.sort([{one, {:busy, one}}, {two, {:busy, two}}])
        assert inner["halted"] == true
        assert inner["request"] == nil
      end
    end

    describe "#{generation}: a dispatch from C whose provider dies" do
      @tag :erpc_caller
      test "in the call ends at once" do
        assert_ends_at_once(nil)
      end

      @tag :tenon_only
      test "after the call has returned ends at once" do
        assert_ends_at_once(%{"after_ms" => 200})
      end
    end

    defp assert_ends_at_once(raw_request) do
      {caller, goes} = {start_beam(x3m: @generation), start_offering_beam()}
      tenon = start_tenon(connect: [caller.name, goes.name])
      Services.await_providers(caller, :c_calls_back, [tenon.name])

      Wait.until("e_where", fn ->
        response(caller, :e_where, nil) == {:ok, goes.name}
      end)

      # It would be a timeout that ends it otherwise.
      assert response(caller, :e_halt, raw_request) == {:error, {:badrpc, :nodedown}}
    end

    defp start_offering_beam do
      peer = start_beam(x3m: @generation)
      :ok = BeamNode.call(peer, TenonHarness.BeamRouter, :register_services, [])
      peer
    end

    # The response that C gets when a BEAM node asks it to call a service.
    defp response(caller, service, raw_request),
      do: called_back(caller, service, raw_request)["response"]

    defp called_back(caller, service, raw_request) do
      raw = %{"service" => service, "raw_request" => raw_request, "timeout" => @timeout}
      {:ok, inner} = Services.outcome(caller, :c_calls_back, raw, timeout: 2 * @timeout)
      inner
    end
  end
end
